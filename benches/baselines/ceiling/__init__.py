"""The limit of the architecture: a hot path that costs nothing.

The same streams, frames, connections, tables and indexes as the server it is the limit of, and the very
rows that it wrote, as binary COPY buffers prepared beforehand. Per batch: raw bytes in, one COPY, which
commits, and the acknowledgement. Nothing is decoded, no clock row is taken, no work is done per record in
the server.
"""
