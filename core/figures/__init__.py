"""Figures of a job: how its labels are distributed, by any column of its file, and which rows stand for them.

Page, API and Markdown all read through here. The stored logits are streamed once for a question and counted; what was
counted is kept with the job (`core.figures.kept`), on a grid of thresholds, so that another threshold is a sum over a
few thousand numbers and no row is read again.
"""

from core.figures.report import Figures, Progress
from core.figures.service import FigureOptions, JobCounts, JobFigures

__all__ = ["FigureOptions", "Figures", "JobCounts", "JobFigures", "Progress"]
