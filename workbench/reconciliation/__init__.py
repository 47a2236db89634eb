"""Reconciliation: our bars against a provider's, each difference with a reason."""
