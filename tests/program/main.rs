//! Tests of the built program as people and strangers use it: real clients, files, signals, hostile input.
#![expect(clippy::unwrap_used)]

mod amplification;
mod api;
mod check;
mod clients;
mod command_line;
mod demos;
mod edits;
mod encrypted;
mod end_to_end;
mod explain;
mod forwarding;
mod hostile_api_bodies;
mod hostile_api_clients;
mod hostile_clients;
mod hostile_http2;
mod hostile_packets;
mod hostile_text;
mod kube_client;
mod kubectl;
mod observe;
mod quantities;
mod readme;
mod resolver;
mod secondaries;
mod secrets;
mod seeds;
mod server;
mod services;
mod special_files;
#[path = "../support/mod.rs"]
mod support;
mod survival;
mod tutorial;
mod wall;
#[path = "../support/ways.rs"]
mod ways;
