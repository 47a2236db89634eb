"""Bars of every kind, from trades, quotes and other bars."""
