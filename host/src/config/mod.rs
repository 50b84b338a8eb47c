//! Settings: from the text of the .ini to a tree that is valid by construction.
