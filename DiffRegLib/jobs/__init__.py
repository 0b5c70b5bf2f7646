"""A registration as a folder: made by a panel or the command line, run by a process of its own.

Making a job and following its worker import neither torch nor numpy, so that a window can do both.
"""

from DiffRegLib.jobs.job import JOB, PROGRESS, RESULT, TRACEBACK, Job, JobInput, is_complete, make_job, read_job
from DiffRegLib.jobs.process import Worker, worker_command, worker_environment
from DiffRegLib.jobs.progress import Event, parse

__all__ = [
    "JOB",
    "PROGRESS",
    "RESULT",
    "TRACEBACK",
    "Event",
    "Job",
    "JobInput",
    "Worker",
    "is_complete",
    "make_job",
    "parse",
    "read_job",
    "worker_command",
    "worker_environment",
]
