<?php
/**
 * Plugin Name: Warta Pengadaan: the RSS block
 * Description: The RSS block asks for the feeds of Warta Pengadaan every 15 minutes instead of every 12 hours, keeps the last list when their server does not answer, and never takes [words] in a package's title for a shortcode. Other feeds stay as they are.
 * Version:     1.0.0
 * License:     MIT
 *
 * To install: copy this one file into wp-content/mu-plugins/ (make that folder if it is missing). Nothing to activate.
 * Two lines of wp-config.php may change it:
 *   define( 'WARTA_URL', 'https://warta.example.go.id/' );  // where your Warta is published; without it, every address
 *                                                           // that ends in /feeds/NAME.rss or .atom counts as one
 *   define( 'WARTA_FEED_MINUTES', 15 );                     // minutes between two looks, 5 at least
 *
 * @package Warta
 */

defined( 'ABSPATH' ) || exit;

/** Whether $url is that of a feed of Warta. WordPress also calls the filter below with a hash, which is not. */
function warta_cache_is_ours( $url ) {
	if ( ! is_string( $url ) ) {
		return false;
	}
	if ( defined( 'WARTA_URL' ) ) {
		return 0 === strpos( $url, trailingslashit( WARTA_URL ) . 'feeds/' );
	}
	return 1 === preg_match( '#/feeds/[a-z0-9-]+\.(rss|atom)(\?|$)#', $url );
}

add_filter(
	'wp_feed_cache_transient_lifetime',
	static function ( $seconds, $url = '' ) {
		if ( ! warta_cache_is_ours( $url ) ) {
			return $seconds;
		}
		$minutes = defined( 'WARTA_FEED_MINUTES' ) ? (int) WARTA_FEED_MINUTES : 15;
		return max( 5, $minutes ) * MINUTE_IN_SECONDS;
	},
	10,
	2
);

add_action(
	'wp_feed_options',
	static function ( $feed, $url ) {
		if ( warta_cache_is_ours( $url ) && method_exists( $feed, 'force_cache_fallback' ) ) {
			$feed->force_cache_fallback( true );
		}
	},
	10,
	2
);

// WordPress runs shortcodes in what blocks print, also those that stand in the titles of a feed: [gallery], [video …].
add_filter(
	'render_block_core/rss',
	static function ( $html, $block ) {
		if ( ! warta_cache_is_ours( $block['attrs']['feedURL'] ?? '' ) ) {
			return $html;
		}
		return strtr(
			$html,
			array(
				'[' => '&#91;',
				']' => '&#93;',
			)
		);
	},
	10,
	2
);
