"""What the law and the knowledge base say, as records over the claim features."""
