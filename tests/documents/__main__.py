"""`make docs`: writes the pages that are made from the code and from what is installed."""

from tests.documents import licences_page, settings_page

for made in (settings_page, licences_page):
    made.PAGE.write_text(made.page())
    print(f"Wrote {made.PAGE}")
