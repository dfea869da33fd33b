"""Files and batches that the gateway keeps and runs itself, for accounts whose provider has no batches.

files    what was uploaded, in a directory
lines    what stands in an input file
progress how far a batch is: what was begun, and what came of it
work     one batch, line by line through the gateway's own pipeline
runner   takes up batches, and holds on to them
local    the API of all of it, which looks to the rest like a provider's
"""
