"""A run as one page of HTML: `report.html` in its workdir.

It holds samples under a slider, curves, measures, options, environment and log, and
needs neither the network nor another file. All of it is read from the workdir, so that
a run of before has one, too.
"""

from jaxgan.run.report.writing import NAME, Report, report, write, writer

__all__ = ["NAME", "Report", "report", "write", "writer"]
