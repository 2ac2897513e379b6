//! What the command line, the GUI and programs share: status, events, commands, supervision.
