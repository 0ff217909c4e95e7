"""What the law and the knowledge base say: one set of records for months of claims and for a prescription."""
