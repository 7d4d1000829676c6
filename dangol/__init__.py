"""What other people's code imports: the messages and stubs of the contract as ``dangol.v1``, and ``dangol.client``."""
