<?php
/**
 * Leaves nothing behind: the setting, and what was kept of the feeds.
 *
 * @package Warta
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

delete_option( 'warta_url' );

global $wpdb;
foreach ( array( '_transient_warta_', '_transient_timeout_warta_' ) as $prefix ) {
	$wpdb->query( $wpdb->prepare( "DELETE FROM {$wpdb->options} WHERE option_name LIKE %s", $wpdb->esc_like( $prefix ) . '%' ) );
}
