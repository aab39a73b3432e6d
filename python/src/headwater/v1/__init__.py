"""The generated messages and stubs of the contract: `X_pb2` and `X_pb2_grpc` for each file of proto/headwater/v1.

`headwater.Client` is made of them. They are here for calls that it has no method for.
"""
