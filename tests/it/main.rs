//! The product through its doors: HTTP, the command line, and the protocol.

mod architecture;
mod cli;
mod crash;
mod demo;
mod deploy;
mod documented;
mod faults;
mod functions;
mod hooks;
mod http;
mod kills;
mod mirror;
mod nodes;
mod pages;
mod postgres;
mod stock_clients;
mod stopping;
mod tls;
mod unruly;
mod upkeep;
