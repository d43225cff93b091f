"""Agents of frameworks with scripted models: three tools, one called twice with different
arguments, two at once. Each runs in its framework's environment, and no tool may ever run."""
