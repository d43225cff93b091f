"""Standing gateways: attempts posted in Redis, and the process that answers for them.

No Django here: a gateway is to be small, and starts where there is no database.
"""
