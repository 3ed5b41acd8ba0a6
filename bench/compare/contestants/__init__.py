"""One file for each contestant. They all have the shape of `bench.compare.orders`.

They run in environments of their own. Of the project, those of other engines import only `bench.compare.orders`,
`bench.compare.calls` and `bench.compare.offers`.
"""
