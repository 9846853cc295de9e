//! The program around the planes: settings, arguments, threads and demos.

pub mod app;
pub mod certificate;
pub mod cli;
pub mod demo;
pub mod exit;
pub mod settings;
pub mod telemetry;
