"""One file a contestant: the publication as its documentation would write it, and a client that starts and approves.

The files run in environments of their own, and of the project they import `bench.compare.line`, `bench.compare.calls`
and `bench.compare.offers` only. `ours`, which runs in the project's own, connects as its worker does.
"""
