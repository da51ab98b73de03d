mod list;
mod list_pages;
