mod list;
mod list_pages;
mod release;
mod release_and_sends;
