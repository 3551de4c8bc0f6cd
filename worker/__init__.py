"""Celery workers: they ask the ledger for work, cut files into chunks, classify chunks, and write results back."""
