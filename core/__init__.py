"""What a job is: the ledger, the table, the taxonomy, the results. Imported by everything, imports none of it."""
