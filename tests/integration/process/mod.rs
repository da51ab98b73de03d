//! The program as operators run it: a process with its own PostgreSQL, its command line, its signals and its log.

mod alerts;
mod audit;
mod commands;
mod config;
mod demo;
mod deployment;
mod erase;
mod folder;
mod human;
mod lines;
mod log;
mod metrics;
mod operator;
mod postgres_ends;
mod scene;
mod serve;
mod start;
mod traces;
mod transport;
mod usage;
mod verify;
