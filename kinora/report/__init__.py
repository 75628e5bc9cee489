"""Reports that stand alone: one HTML file with its styles, plots and playing clips inside."""

from kinora.report.navigation import Link, add_navigation
from kinora.report.page import Clip, Page

__all__ = ["Clip", "Link", "Page", "add_navigation"]
