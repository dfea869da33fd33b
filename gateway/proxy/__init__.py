"""One request, from the pipeline's end to the client: admitted, dispatched, relayed, watched over."""
