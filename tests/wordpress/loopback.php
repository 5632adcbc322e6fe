<?php
// For the test only, among the mu-plugins: lets WordPress ask the feed server on its port of this machine.
add_filter(
	'http_allowed_safe_ports',
	static function ( $ports ) {
		$ports[] = (int) getenv( 'WARTA_TEST_FEEDS' );
		return $ports;
	}
);
