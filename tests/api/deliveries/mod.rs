mod reaction;
mod status;
