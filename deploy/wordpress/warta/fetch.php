<?php
/**
 * What the published Warta says, kept for some minutes; when it does not answer, what it said last.
 *
 * @package Warta
 */

defined( 'ABSPATH' ) || exit;

const WARTA_KEPT  = MONTH_IN_SECONDS;      // how long the last good answer may stand in for new ones
const WARTA_RETRY = 2 * MINUTE_IN_SECONDS; // after a failure: until then no visitor waits for a dead server
const WARTA_BYTES = 2 * MB_IN_BYTES;       // no feed is longer than 1 MB; more than this is no feed

/** Where the tree is published, with a slash at its end; empty while nobody has said. */
function warta_base() {
	$url = defined( 'WARTA_URL' ) ? WARTA_URL : get_option( 'warta_url', '' );
	$url = is_string( $url ) ? esc_url_raw( $url, array( 'http', 'https' ) ) : '';
	return '' === $url ? '' : trailingslashit( $url );
}

/**
 * The JSON at $path below the base, at most $minutes old if the server answers; null when there never was an answer.
 *
 * Never throws and never waits longer than one request's timeout, at most once in WARTA_RETRY.
 */
function warta_fetch( $path, $minutes ) {
	$url  = warta_base() . $path;
	$key  = 'warta_' . md5( $url );
	$held = get_transient( $key );
	$held = is_array( $held ) ? $held : array();
	$held = array_merge( array( 'data' => null, 'etag' => '', 'read' => 0, 'next' => 0 ), $held );
	$now  = time();
	if ( $now < $held['next'] || ( null !== $held['data'] && $now < $held['read'] + $minutes * MINUTE_IN_SECONDS ) ) {
		return $held['data'];
	}
	$held['next'] = $now + WARTA_RETRY; // before asking: meanwhile other visitors get what is there
	set_transient( $key, $held, WARTA_KEPT );

	$headers = array( 'Accept' => 'application/feed+json, application/json' );
	if ( '' !== $held['etag'] && null !== $held['data'] ) {
		$headers['If-None-Match'] = $held['etag'];
	}
	$answer = wp_safe_remote_get(
		$url,
		array(
			'timeout'             => 5,
			'redirection'         => 3,
			'limit_response_size' => WARTA_BYTES,
			'headers'             => $headers,
		)
	);
	$code = wp_remote_retrieve_response_code( $answer );
	$data = 200 === $code ? warta_trim( json_decode( wp_remote_retrieve_body( $answer ), true ) ) : null;
	if ( null !== $data ) {
		$held['data'] = $data;
		$held['etag'] = (string) wp_remote_retrieve_header( $answer, 'etag' );
	} elseif ( 304 !== $code ) {
		return $held['data'];
	}
	$held['read'] = $now;
	$held['next'] = 0;
	set_transient( $key, $held, WARTA_KEPT );
	return $held['data'];
}

/** What a list shows of a feed or of the status, which is a small part; null for JSON that is neither. */
function warta_trim( $data ) {
	$kept = is_array( $data ) ? array_intersect_key( $data, array_flip( array( 'items', 'language', 'portals', 'feeds', 'sample' ) ) ) : array();
	if ( is_array( $kept['items'] ?? null ) ) {
		$kept['items'] = array_values( array_filter( $kept['items'], 'is_array' ) );
		foreach ( $kept['items'] as $at => $item ) {
			unset( $kept['items'][ $at ]['content_html'] );
		}
		return $kept;
	}
	foreach ( array( 'portals', 'feeds' ) as $name ) {
		if ( is_array( $kept[ $name ] ?? null ) ) {
			$kept[ $name ] = array_values( array_filter( $kept[ $name ], 'warta_has_id' ) );
		}
	}
	return is_array( $kept['portals'] ?? null ) && is_array( $kept['feeds'] ?? null ) ? $kept : null;
}

function warta_has_id( $row ) {
	return is_array( $row ) && is_string( $row['id'] ?? null );
}

/** The published feeds, each with id and title; none while the address is wrong or nobody answers. */
function warta_feeds() {
	$status = '' === warta_base() ? null : warta_fetch( 'status.json', 15 );
	$feeds  = array();
	foreach ( is_array( $status ) && is_array( $status['feeds'] ?? null ) ? $status['feeds'] : array() as $feed ) {
		if ( is_string( $feed['id'] ?? null ) && is_string( $feed['title'] ?? null ) ) {
			$feeds[] = array(
				'id'    => $feed['id'],
				'title' => $feed['title'],
			);
		}
	}
	return $feeds;
}
