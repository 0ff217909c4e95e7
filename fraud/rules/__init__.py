"""What the law and the knowledge base say: the same records over months of claims and over one prescription."""
