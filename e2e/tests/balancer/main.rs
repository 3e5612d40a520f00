//! A balancer with real clients and real web servers, in network namespaces. Needs root.
#![allow(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod claims;
mod filters;
mod health;
mod shop;
mod simulate;
mod traffic;
mod tunnels;

use shop::Shop;

/// One fleet for all of it: each step starts from what the step before left.
#[test]
fn clients_are_served_as_the_object_says_from_the_first_packet_to_its_removal() {
    let mut shop = Shop::open();
    traffic::clients_of_both_families_reach_every_backend_through_tunnels(&shop);
    traffic::shares_follow_the_weights_and_are_counted_to_the_packet(&shop);
    traffic::packets_for_no_vip_are_untouched(&shop);
    filters::a_pass_reaches_the_balancer_and_a_drop_does_not(&shop);
    tunnels::a_backend_opens_tunnels_of_its_balancers_only(&shop);
    tunnels::what_is_too_large_for_the_tunnel_is_dropped_and_counted(&shop);
    health::a_killed_backend_is_out_in_time_and_nobody_else_notices(&mut shop);
    health::a_backend_that_is_back_takes_its_share_again(&mut shop);
    health::without_a_healthy_backend_packets_are_dropped_and_counted(&mut shop);
    shop.a_deleted_balancer_leaves_nothing_behind();
}
