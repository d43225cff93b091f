"""Starting Flakestorm on one machine: its folder, its port, its Redis and its processes.

None of it imports Django: it runs before the settings can be read.
"""
