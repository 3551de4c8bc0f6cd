"""What comes out: stored logits and the upload's own records, joined into the labelled file, a page, a summary.

Page, download and API all read through here, so they cannot disagree, and none of them runs the model.
"""

from core.results.options import ResultOptions
from core.results.service import JobResults, Page, Results

__all__ = ["JobResults", "Page", "ResultOptions", "Results"]
