"""The report: facts of a run -> one self-contained HTML page (`html.render`)."""
