mod create;
mod list;
mod revoke;
mod who_am_i;
