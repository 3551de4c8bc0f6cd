"""Every address that a browser is shown stands in some state, so that it is checked and pictured."""

from __future__ import annotations

from tests.pages.states import STATES
from web.app import create_app

SHOWN = {
    "account_page.show": "account-members",
    "checking.card": "check-card",
    "checking.check": "check-figures",
    "checking.correction": "check-card-28",
    "checking.teaser": "check-offer",
    "comparing.compare": "compare",
    "figure_pages.summary": "summary",
    "pages.docs": "api",
    "pages.job": "job-done",
    "pages.jobs": "jobs",
    "pages.live": "job-running",
    "pages.recent": "upload",
    "pages.rows": "rows-filtered",
    "pages.sign_in": "sign-in",
    "pages.upload": "upload",
    "row_pages.row": "row",
    "row_pages.words": "row-words",
    "taxonomy_pages.edit_taxonomy": "taxonomy-refused",
    "taxonomy_pages.new_taxonomy": "taxonomies",
    "taxonomy_pages.taxonomies": "taxonomies",
    "trying.try_it": "try-it",
}
"""A state that shows what an endpoint gives."""

NO_PAGES = {"pages.favicon", "static", "bootstrap.static", "htmx.static"}


def test_every_page_is_in_a_state(settings):
    app = create_app(settings)
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith("/api/")
    }
    assert pages - NO_PAGES == set(SHOWN)
    assert set(SHOWN.values()) <= set(STATES)
