// Nothing to do.
module {}
