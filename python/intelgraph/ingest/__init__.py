"""The hot path's decisions: streams, their order and credit, and the commit of what the core made of their bytes.

Nothing here touches a record. A stream's session hands raw frames to the core and awaits I/O; a tenant's committer
puts what the core returns into one transaction; replies go back in order.
"""
