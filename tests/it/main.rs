//! The product through its doors: HTTP, the command line, and the protocol.

mod architecture;
mod cli;
mod crash;
mod demo;
mod documented;
mod functions;
mod hooks;
mod http;
mod kills;
mod mirror;
mod pages;
mod postgres;
mod stock_clients;
mod unruly;
mod upkeep;
