"""What a user installs: the command `emobatch`, the Python client, and the local stack.

The client half (everything but `emobatch.stack`) talks to the REST API and needs neither Flask nor a database::

    from pathlib import Path
    from emobatch.client import Client

    with Client("http://127.0.0.1:8080", token="...") as client:
        job = client.wait(client.create_job(Path("reviews.csv")).id)
        client.download_to(job.id, Path("reviews.labelled.csv"))
"""
