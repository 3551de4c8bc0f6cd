"""The OpenAPI document and a live server held against each other; `docs/api.md` says how."""
