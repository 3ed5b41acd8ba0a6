"""One file a contestant: the publication as its documentation would write it, and a client that starts and approves.

The files run in environments of their own and import nothing of the project but `bench.compare.line` and
`bench.compare.calls`.
"""
