"""Langfuse: observations, as an export file has them or as its API answers."""
