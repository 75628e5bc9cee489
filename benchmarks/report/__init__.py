"""The clips and figures of docs/report.md, a script a section."""
