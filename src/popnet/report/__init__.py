"""The report: facts of a run -> one self-contained HTML page (`page.render`, `page.write`)."""
