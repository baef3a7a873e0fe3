"""A local AWS for the lab: ministack in one process, with the parts replaced that must be exact.

Start it with ``python -m local_aws --data-dir DIR``; see ``__main__`` for the arguments. One file per
AWS service holds what is replaced in that service and why.
"""
