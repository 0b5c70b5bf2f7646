"""The report of a review: one HTML file with everything in it, for a browser without a server and for printing."""

from DiffRegLib.review.page.document import write_report

__all__ = ["write_report"]
