"""What comes out: stored logits and the upload's own records, joined into the labelled file, a page, a summary.

Page, download and API all read through here, so they cannot disagree, and none of them runs the model.
"""

from core.results.detail import RowDetail
from core.results.files import ResultFile
from core.results.options import ResultOptions
from core.results.query import RowQuery
from core.results.rows import Page
from core.results.service import JobResults, Results

__all__ = ["JobResults", "Page", "ResultFile", "ResultOptions", "Results", "RowDetail", "RowQuery"]
