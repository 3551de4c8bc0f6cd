"""What a browser and a program talk to: the REST API and the pages, on Flask. No model runs here, and no torch."""
