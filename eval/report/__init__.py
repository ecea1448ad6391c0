"""The report of an evaluation: one HTML file that needs nothing else."""

from eval.report.page import render
from eval.report.subject import Night, Subject, load_subject

__all__ = ["Night", "Subject", "load_subject", "render"]
